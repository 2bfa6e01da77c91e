"""Iceberg tables as Lookbook creates them, created once and put in place from then on.

Creating one costs 0.2 seconds of CPU, and several hundred tests begin with tables of their own. What is put in place
are the files that creating it left, where it left them: nothing can tell the two apart but the table's age.
"""

from __future__ import annotations

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import TableAlreadyExistsError
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata

from lookbook import storage
from lookbook.catalog import tables
from lookbook.catalog.schemas import TABLES

create_anew = tables._create
_kept: dict[tuple[str, str], tuple[str, dict[str, bytes]]] = {}


def create(catalog: Catalog, name: str) -> Table:
    """Do what ``lookbook.catalog.tables`` does about a table that isn't there."""
    key = (name, f"{TABLES[name]} {tables._row_groups(name)} {catalog.properties['warehouse']}")
    if key not in _kept:
        table = create_anew(catalog, name)
        uris = [stored.uri for stored in storage.list_objects(f"{table.location()}/")]
        _kept[key] = table.metadata_location, {uri: storage.read_bytes(uri) for uri in uris}
        return table
    location, files = _kept[key]
    for uri, content in files.items():
        storage.write_bytes(uri, content)
    catalog.create_namespace_if_not_exists(name.partition(".")[0])
    try:
        return catalog.register_table(name, location)
    except TableAlreadyExistsError:  # by another thread
        return catalog.load_table(name)


_work_out = Transaction.table_metadata.fget


def _metadata(transaction: Transaction) -> TableMetadata:
    """Return a transaction's metadata without working it out, some forty times a commit, while nothing has changed."""
    base, updates = transaction._table.metadata, transaction._updates
    kept = vars(transaction).get("kept")
    if kept is None or kept[0] is not base or kept[1] is not updates:
        kept = vars(transaction)["kept"] = (base, updates, _work_out(transaction))
    return kept[2]


Transaction.table_metadata = property(_metadata)
