"""What to do about an error, in the learner's language."""

from __future__ import annotations

from chatkit.errors import ChatkitError
from chatkit.messages import say

_BY_CLASS = {
    "AuthenticationError": "chat_key",
    "PermissionDeniedError": "chat_forbidden",
    "NotFoundError": "chat_not_found",
    "RateLimitError": "chat_rate",
    "InternalServerError": "chat_server",
    "APIStatusError": "chat_refused",
    "APITimeoutError": "chat_timeout",
    "APIConnectionError": "chat_connection",
    "APIError": "chat_error_event",
}
# Where one class has two causes, the error's own type or code tells them apart.
_BY_CAUSE = {"insufficient_quota": "chat_credit", "context_length_exceeded": "chat_too_long"}


def advise(error: BaseException) -> str | None:
    """Return what went wrong and what to do, or None for an error that is neither the SDK's nor chatkit's."""
    if isinstance(error, ChatkitError):
        return str(error)
    told = (getattr(error, "type", None), getattr(error, "code", None))
    causes = [cause for name, cause in _BY_CAUSE.items() if name in told]
    classes = [_BY_CLASS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _BY_CLASS]
    found = causes + classes
    return say(found[0], message=error) if found else None
