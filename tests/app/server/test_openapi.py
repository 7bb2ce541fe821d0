"""The description of the API holds: every route is in it; generated requests find no answer outside it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from edgevid.app.server.application import ROUTES
from tests.app.server.conftest import Json, Served

_PAGE = {"/", "/page.css", "/page.js", "/icon.svg"}


def test_every_route_is_described_and_nothing_else(served: Served) -> None:
    document = served.http.get("/openapi.json").json()
    described = {(path, m.upper()) for path, operations in document["paths"].items() for m in operations}
    routes = {(r.path, m) for r in ROUTES for m in (r.methods or ()) if m != "HEAD" and r.path not in _PAGE}
    assert described == routes


@pytest.mark.parametrize("examples", [5, pytest.param(300, marks=pytest.mark.soak)])
def test_generated_requests_get_only_described_answers(served: Served, watched: Json, examples: int) -> None:
    """Valid and broken requests for every operation; half the ids are replaced by ones that exist.

    Not every rule is in the schema (what base64 is, say), so a refusal of what it allows is no fault.
    """
    schemathesis = pytest.importorskip("schemathesis", reason="pip install 'edgevid[dev]'")
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as described

    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    checks = [
        not_a_server_error,
        described.status_code_conformance,
        described.content_type_conformance,
        described.response_headers_conformance,
        described.response_schema_conformance,
    ]
    for result in schema.get_all_operations():
        operation = result.ok()
        cases = operation.as_strategy() | operation.as_strategy(
            generation_mode=schemathesis.GenerationMode.NEGATIVE
        )

        @given(case=cases)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def holds(case: Any) -> None:
            for name, real in (("session_id", watched["id"]), ("video_id", str(watched["video_id"]))):
                known = case.path_parameters or {}
                if name in known and len(str(known[name])) % 2 and case.method != "DELETE":
                    known[name] = real
            case.call_and_validate(checks=checks)

        holds()


def test_no_answer_names_our_insides(served: Served) -> None:
    for path in ("/v1/nothing", "/v1/sessions/../../etc/passwd", "/%00", "/v1/videos/1e9/rows"):
        text = served.http.get(path).text
        assert not re.search(r"Traceback|site-packages|\.py\b", text)
