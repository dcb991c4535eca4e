"""Files of the cache, as this package writes them."""

import hashlib
import json


def document(path):
    """The document of a file of the cache."""
    return json.loads(path.read_text())["document"]


def replace(path, document):
    """Put another document into a file of the cache."""
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    changed = {"document": document, "sha256": digest}
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
