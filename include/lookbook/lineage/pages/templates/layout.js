// Airflow shows these pages in a sandboxed frame that may open no other window and does not pass on whether its UI is
// dark. The UI around the frame is of the same origin: it is asked for the colours, and follows links to its own pages,
// which would else show a second UI inside the first.
if (window.parent !== window) {
  const page = document.documentElement;
  const outer = window.parent.document;
  const takeColours = () => { page.style.colorScheme = outer.documentElement.style.colorScheme; };
  page.classList.add("framed");
  takeColours();
  new MutationObserver(takeColours).observe(outer.documentElement, { attributeFilter: ["style"] });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-outside]");
    if (!link || event.button !== 0 || !/^https?:$/.test(link.protocol)) return;
    event.preventDefault();
    const followed = outer.createElement("a");
    followed.href = link.href;
    followed.rel = "noopener";
    if (link.target === "_blank" || event.ctrlKey || event.metaKey || event.shiftKey) followed.target = "_blank";
    outer.body.append(followed);
    followed.click();
    followed.remove();
  });
}
