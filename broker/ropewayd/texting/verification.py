"""The message that brings a one-time password to a number of the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

DIGITS: Final = 6
WITHIN: Final = 900_000
"""Milliseconds for which a password can verify its number."""
MAX_WRONG: Final = 5
"""Wrong passwords after which the right one is good for nothing: so it cannot be guessed."""
_TEXTS: Final = {
    "en": "Your verification code is {}.",
    "es": "Su código de verificación es {}.",
    "de": "Ihr Bestätigungscode ist {}.",
    "fr": "Votre code de vérification est {}.",
    "it": "Il tuo codice di verifica è {}.",
    "ja": "確認コードは {} です。",
    "pt": "Seu código de verificação é {}.",
    "kr": "인증 코드는 {}입니다.",
    "zh-CN": "您的验证码是 {}。",
    "zh-TW": "您的驗證碼是 {}。",
}


def password(entropy: Callable[[int], bytes]) -> str:
    """One that cannot be guessed. `entropy(n)` gives n unguessable bytes."""
    return f"{int.from_bytes(entropy(8), 'big') % 10**DIGITS:0{DIGITS}}"


def message(language: str, password: str) -> str:
    """The text that tells it, in a language that the action CreateSandboxPhoneNumber names."""
    text = _TEXTS.get(language) or _TEXTS[language.partition("-")[0]]
    return text.format(password)
