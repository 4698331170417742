"""Imports cards and their holders from a CSV file: streaming, in batches, resumable.

A batch is one transaction. A journal beside the file stores where the last committed batch ended.
Importing a file again changes nothing, because its cards exist already. The columns are specified in
docs/importing.md.
"""

from core.imports.journal import ImportPosition, Journal
from core.imports.lines import COLUMNS, BadLine, LineReader
from core.imports.run import BadLines, Importer, import_cards
from core.imports.source import CsvFile, WrongFile

__all__ = [
    "COLUMNS",
    "BadLine",
    "BadLines",
    "CsvFile",
    "ImportPosition",
    "Importer",
    "Journal",
    "LineReader",
    "WrongFile",
    "import_cards",
]
