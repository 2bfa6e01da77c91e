"""Where the laptop keeps things: the repository it runs from and one state directory for everything it writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Places:
    """The repository (``root``) and the state directory (``state``), both absolute."""

    root: Path
    state: Path

    @property
    def airflow_home(self) -> Path:
        """``AIRFLOW_HOME``: Airflow's database and task logs."""
        return self.state / "airflow"

    @property
    def task_logs(self) -> Path:
        """Root of Airflow's task logs."""
        return self.airflow_home / "logs"

    @property
    def aws_state(self) -> Path:
        """What local AWS keeps: objects, jobs, endpoints."""
        return self.state / "aws"

    @property
    def logs(self) -> Path:
        """One log per process that the supervisor starts."""
        return self.state / "logs"

    @property
    def processes_file(self) -> Path:
        """Which processes and ports belong to this state directory."""
        return self.state / "processes.json"

    @property
    def lock_file(self) -> Path:
        """Held while processes are being started or stopped."""
        return self.state / "lock"

    @property
    def keys_file(self) -> Path:
        """Generated password and signing keys, readable by the owner only."""
        return self.state / "keys.json"

    @property
    def passwords_file(self) -> Path:
        """The password file of Airflow's simple auth manager, readable by the owner only."""
        return self.state / "airflow-passwords.json"

    @property
    def images_file(self) -> Path:
        """Which command local AWS runs for which container image."""
        return self.state / "images.json"

    @property
    def catalog_database(self) -> Path:
        """SQLite database of the Iceberg catalogue."""
        return self.state / "catalog.db"

    @property
    def openlineage_file(self) -> Path:
        """OpenLineage events, one JSON object a line."""
        return self.state / "openlineage.jsonl"

    @property
    def sample_drop(self) -> Path:
        """The drawn drop that ``make demo`` uses when none is given."""
        return self.state / "sample-drop"

    @property
    def training_python(self) -> Path:
        """Interpreter of the training image's environment."""
        return self.root / ".venv-training" / "bin" / "python"


def places(state: str | Path = ".lookbook", root: Path = REPOSITORY) -> Places:
    """Return the places for a state directory, relative ones taken from the repository's root."""
    return Places(root=root, state=(root / state).resolve())
