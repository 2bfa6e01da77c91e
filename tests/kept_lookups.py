"""What botocore and moto look up in their own packages again for each client and request, kept after the first time.

Each of these takes milliseconds of CPU that tests spend by the thousand. Nothing here answers otherwise than it did.
"""

from __future__ import annotations

from functools import lru_cache

from botocore.loaders import JSONFileLoader, Loader
from moto import backends

_read_model = lru_cache(maxsize=None)(JSONFileLoader().load_file)
_look_through = Loader.list_available_services
_services: dict[tuple[str, ...], list[str]] = {}


def keep() -> None:
    """Keep models of services, the list of those that have one, and the list of those that moto imitates."""
    # Operators' hooks open a session each, and each session would parse AWS's models of its services anew: 0.2 s of CPU
    # a SageMaker client in place of 0.04. What is merged into a model after it was read comes out the same again.
    JSONFileLoader.load_file = lambda _, path: _read_model(path)
    # It would look through the directories of all services: 15 ms a session.
    Loader.list_available_services = _available_services
    # It would list moto's directory for each request: 1 ms of 3.
    modules = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules


def _available_services(loader: Loader, type_name: str) -> list[str]:
    key = (type_name, *loader.search_paths)
    if key not in _services:
        _services[key] = _look_through(loader, type_name)
    return _services[key]
