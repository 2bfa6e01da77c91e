"""The password and signing keys of one installation: generated once, kept in the state directory, mode 600."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from laptop.places import Places

USERNAME = "admin"


@dataclass(frozen=True)
class Keys:
    """What Airflow's components share: the admin's password, token signing keys, and the key of stored connections."""

    password: str
    jwt_secret: str
    api_secret: str
    fernet_key: str


def load_or_create(places: Places) -> Keys:
    """Return the installation's keys, making them (and Airflow's password file) on first use."""
    if places.keys_file.exists():
        keys = Keys(**json.loads(places.keys_file.read_text()))
    else:
        keys = generate()
        write_private(places.keys_file, json.dumps(asdict(keys), indent=2) + "\n")
    write_private(places.passwords_file, json.dumps({USERNAME: keys.password}) + "\n")
    return keys


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)


def generate() -> Keys:
    """Return new keys."""
    return Keys(
        password=secrets.token_urlsafe(12),
        jwt_secret=secrets.token_urlsafe(64),
        api_secret=secrets.token_urlsafe(32),
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    )
