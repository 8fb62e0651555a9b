"""XML as text: indented, in UTF-8, with a document type."""

from xml.etree import ElementTree


def to_text(root: ElementTree.Element) -> str:
    """The document, whose type is the name of its root."""
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE {root.tag}>\n{body}\n'
