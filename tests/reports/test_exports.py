"""The section of models in other formats: what each is, how well it agrees, and why one is missing."""

import json
import shutil

from runner.reports.page import write_report
from tests.support.run_files import read_document

SAME = {"largest_difference": 2.2e-8, "allowed": 1e-4, "has_classes": True, "other_classes": 0, "agrees": True}
FORMATS = {
    "onnx": {"path": "model.onnx", "bytes": 4_100, "digest": "f2414a9a", "agreement": {"label": SAME}},
    "litert": {"failed": "LiteRT has no operation <MaxPool3D>"},
    "saved_model": {
        "path": "saved_model",
        "bytes": 40_700,
        "digest": "238695a0",
        "agreement": {"label": SAME, "size": {**SAME, "largest_difference": 0.5, "other_classes": 3}},
    },
}
HEADINGS = ["format", "file", "size", "largest difference", "allowed", "classes", "digest"]


def test_page_has_a_row_for_each_format(digits, read, tmp_path):
    folder = shutil.copytree(digits, tmp_path / "copy")
    document = read_document(folder)
    assert "Exports" not in read(folder).tables
    results = {**document["results"], "export": {"split": "test", "samples": 150, "formats": FORMATS}}
    (folder / "run.json").write_text(json.dumps({**document, "results": results}))
    write_report(folder)
    page = read(folder)
    assert "compared with the model on 150 samples of split test" in page.text
    assert page.tables["Exports"] == [
        HEADINGS,
        ["onnx", "export/model.onnx", "4.1 kB", "2.2e-08", "1.0e-04", "the same", "f2414a9a"],
        ["litert", "cannot hold this model: LiteRT has no operation <MaxPool3D>", "", "", "", "", ""],
        ["saved_model", "export/saved_model", "40.7 kB", "5.0e-01", "1.0e-04", "3 differ", "238695a0"],
    ]
