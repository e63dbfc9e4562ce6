"""The page on the fast path shows the code that is generated."""

import re
from pathlib import Path

from dataops.core.itemcode import page_code
from dataops.core.normalize import Codec
from dataops.core.rowcode import row_code
from dataops.workbook.bill import MORE_MICROSECONDS
from tests.samples import batch_of, column, table_of

TEXT = (Path(__file__).parent.parent / "docs" / "fast-path.md").read_text("utf-8")


def test_the_estimate_of_a_bill_has_the_pages_figures():
    figures = re.findall(
        r"^\| (boto3's|a chunk's copy|resource scan|a segment's load, by)[^|]*\| ([\d.]+) \|", TEXT, re.M
    )
    writer, copy, scan, load = (float(figure) for _, figure in figures)
    assert {"rds_to_dynamodb": writer - copy, "dynamodb_to_rds": scan - load} == MORE_MICROSECONDS


def test_the_example_is_what_is_generated():
    columns = column("id", "int", False), column("name", "varchar(20)"), column("total", "decimal(10,2)", False)
    codec = Codec(batch_of(), table_of(*columns), None, None)
    copied, loaded = (part.partition("```")[0] for part in TEXT.split("```python\n")[1:])
    assert copied == row_code(codec, 0)
    assert loaded == page_code(codec, codec.outputs)
