"""The accounts of the daemon that have something to do with telephone numbers. What sends text messages looks
here before each: what the account has set, and whether the number wants any."""

from __future__ import annotations

import msgspec

from ropewayd.vocabulary.errors import OverLimit
from ropewayd.vocabulary.names import Scope, page

from .account import Account
from .actions import Scoped, SmsAttributes
from .settings import TextingLimits

_NOTHING = SmsAttributes()


class Phones:
    """See the module."""

    def __init__(self, limits: TextingLimits | None = None) -> None:
        self.limits = limits or TextingLimits()
        self.home = Scope(self.limits.account, self.limits.region)
        self.accounts: dict[Scope, Account] = {}
        """Those that there is something to keep of."""
        self._always = sorted(self.limits.opted_out)

    # Who sends asks

    def attributes(self, scope: Scope) -> SmsAttributes:
        """What an account has set."""
        account = self.accounts.get(scope)
        return _NOTHING if account is None else msgspec.convert(account.attributes, SmsAttributes)

    def is_opted_out(self, scope: Scope, number: str) -> bool:
        """Whether the number gets no text messages of this account."""
        account = self.accounts.get(scope)
        return number in self.limits.opted_out or (account is not None and number in account.opted_out)

    def is_reachable(self, scope: Scope, number: str) -> bool:
        """Whether the sandbox, if there is one, lets messages to the number pass."""
        if not self.limits.sandbox:
            return True
        account = self.accounts.get(scope)
        found = None if account is None else account.sandbox.get(number)
        return found is not None and found.verified

    # The service asks

    def scope(self, action: Scoped) -> Scope:
        """Which account's part of which region an action is about."""
        return Scope(action.account or self.home.account, action.region or self.home.region)

    def numbers_opted_out(self, scope: Scope, after: str | None, limit: int) -> tuple[list[str], str | None]:
        """A page of them, and what to go on after."""
        account = self.accounts.get(scope)
        own, more = page(account.opted_out.order if account is not None else (), "", after, limit)
        every, yet_more = page(self._always, "", after, limit)
        found = sorted({*own, *every})
        if len(found) > limit or more is not None or yet_more is not None:
            return found[:limit], found[:limit][-1]
        return found, None

    def refusal(self, scope: Scope) -> OverLimit | None:
        """Why nothing can be kept of one more account."""
        most = self.limits.max_accounts
        if scope in self.accounts or len(self.accounts) < most:
            return None
        return OverLimit(
            f"Something is kept for {most} accounts and their telephone numbers, and that is the limit.",
            "account",
        )

    # Events change

    def kept(self, scope: Scope) -> Account:
        """The account, about to have something that is to be kept."""
        account = self.accounts.get(scope)
        if account is None:
            account = self.accounts[scope] = Account(scope)
        return account

    def tidy(self, account: Account) -> None:
        """Forget it if there is nothing to keep any more."""
        if not account:
            del self.accounts[account.scope]
