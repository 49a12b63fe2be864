"""Formulas of the documentation as MathML, which browsers draw without any script.

A Markdown extension, named in zensical.toml: ``pymdownx.arithmatex`` finds the formulas and this
one converts them.
"""

from __future__ import annotations

import html
from typing import Any
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

_AFTER_INLINE = 10  # formulas within a line are found by the treeprocessor of priority 20


class _Converter(Treeprocessor):
    def run(self, root: ElementTree.Element) -> None:
        """Replace the text of each formula, which arithmatex has put between ``\\(`` or ``\\[``."""
        for element in root.iter():
            if element.get("class") == "arithmatex" and element.text:
                display = "block" if element.tag == "div" else "inline"
                formula = convert(html.unescape(element.text)[2:-2], "", display=display)
                element.text = None
                element.append(ElementTree.fromstring(formula))


class MathML(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        md.treeprocessors.register(_Converter(md), "mathml", _AFTER_INLINE)


def makeExtension(**options: Any) -> MathML:
    """What Markdown calls."""
    return MathML(**options)
