// Airflow shows these pages in a sandboxed frame that may open no other window. A link to one of Airflow's own pages
// would show a second UI inside the first; so it is followed by the UI around the frame, which is of the same origin.
if (window.parent !== window) {
  document.documentElement.classList.add("framed");
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-outside]");
    if (!link || event.button !== 0 || !/^https?:$/.test(link.protocol)) return;
    event.preventDefault();
    const outer = window.parent.document.createElement("a");
    outer.href = link.href;
    outer.rel = "noopener";
    if (link.target === "_blank" || event.ctrlKey || event.metaKey || event.shiftKey) outer.target = "_blank";
    window.parent.document.body.append(outer);
    outer.click();
    outer.remove();
  });
}
