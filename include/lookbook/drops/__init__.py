"""A drop's files: upload, discover, fingerprint, read (mending what can be mended), pictures; and a sample drop."""

from lookbook.drops.discovery import Drop, Manifest, discover, fingerprint
from lookbook.drops.reading import Candidates, read
from lookbook.drops.uploading import Uploaded, upload

__all__ = ["Candidates", "Drop", "Manifest", "Uploaded", "discover", "fingerprint", "read", "upload"]
