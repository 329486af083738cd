"""The secret that opens GitHub: a token, or the key of a GitHub App."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from github import Auth
from jwt import PyJWTError
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from codec_evolution.loop.commit import GithubRefused


class Token(BaseModel):
    """The secret of a personal access token."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    token: SecretStr


class App(BaseModel):
    """The secret of a GitHub App."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    app_id: int
    installation_id: int
    private_key: SecretStr


_CREDENTIAL: TypeAdapter[Token | App] = TypeAdapter(Token | App)


def parse_credential(credential: str | Mapping[str, Any]) -> Token | App:
    """Read the secret, as JSON or parsed; raises `GithubRefused`, which never quotes it."""
    try:
        if isinstance(credential, str):
            return _CREDENTIAL.validate_json(credential)
        return _CREDENTIAL.validate_python(dict(credential))
    except ValidationError:
        shape = '{"token": "..."} or {"app_id": 1, "installation_id": 2, "private_key": "..."}'
        raise GithubRefused(f"the GitHub secret must be {shape}, one of them and whole") from None


def github_auth(secret: Token | App) -> Auth.Auth:
    """Return what PyGithub signs its requests with; raises `GithubRefused` for an unusable secret."""
    if isinstance(secret, Token):
        token = secret.token.get_secret_value()
        # Anything else in a header would be quoted in the HTTP library's error message.
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise GithubRefused("the token in the GitHub secret is empty or holds white space")
        return Auth.Token(token)
    app = Auth.AppAuth(secret.app_id, secret.private_key.get_secret_value())
    try:
        app.create_jwt()
    except (PyJWTError, ValueError, TypeError):
        raise GithubRefused("private_key in the GitHub secret is not an RSA key in PEM form") from None
    permissions = {"contents": "write", "pull_requests": "write"}
    return app.get_installation_auth(secret.installation_id, permissions)
