"""What Lambda passes to a handler about its invocation."""

from __future__ import annotations

from types import SimpleNamespace

CONTEXT = SimpleNamespace(
    function_name="function",
    memory_limit_in_mb=128,
    invoked_function_arn="arn:aws:lambda:eu-central-1:111122223333:function:function",
    aws_request_id="00000000-0000-4000-8000-000000000000",
    get_remaining_time_in_millis=lambda: 60_000,
)
