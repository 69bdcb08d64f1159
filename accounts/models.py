"""People and what they did; accounts at brokers, their logins and sessions."""

from __future__ import annotations

from uuid import uuid4

import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import models

from alphapanda import kept
from alphapanda.core.vocabulary import Broker


class User(AbstractUser):
    """A person; roles are the groups `viewer` and `operator`."""


class Look(models.Model):
    """How a person wants pages to look; without a row, as its defaults say."""

    class Theme(models.TextChoices):
        DARK = "dark", "dark"
        LIGHT = "light", "light"
        SYSTEM = "auto", "as the system says"

    class Palette(models.TextChoices):
        USUAL = "usual", "green and red"
        BLUE_ORANGE = "blue-orange", "blue and orange, for the colour-blind"

    class Density(models.TextChoices):
        USUAL = "usual", "28 pixels a row"
        COMPACT = "compact", "24 pixels a row"

    class Sound(models.TextChoices):
        OFF = "off", "silent"
        ON = "on", "a tone when a critical alert comes"

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True)
    theme = models.CharField(max_length=8, choices=Theme, default=Theme.DARK)
    palette = models.CharField(max_length=12, choices=Palette, default=Palette.USUAL)
    density = models.CharField(max_length=8, choices=Density, default=Density.USUAL)
    sound = models.CharField(max_length=3, choices=Sound, default=Sound.OFF)
    hidden = models.JSONField(default=dict, help_text="columns by the kind of a table's rows")

    def __str__(self) -> str:
        return f"{self.user}: {self.theme}, {self.palette}, {self.density}"


class AuditEntry(models.Model):
    """Who did what to what, written in the transaction of the act. Append-only."""

    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=200)
    reason = models.CharField(max_length=300, blank=True)
    details = models.JSONField(default=dict)
    ip = models.GenericIPAddressField(null=True, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "audit entries"
        triggers = kept.append_only()

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"


class BrokerAccount(models.Model):
    """An account at a broker and the app through which we reach it. The secret is sealed (accounts.vault)."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.CharField(max_length=60, unique=True, help_text="as you call it")
    broker = models.CharField(
        max_length=10, choices=[(Broker.ZERODHA.value, "Zerodha")], default=Broker.ZERODHA
    )
    user_id = models.CharField(
        "user ID",
        max_length=20,
        unique=True,
        validators=[RegexValidator(r"^[A-Z0-9]+\Z", "capital letters and digits, such as AB1234")],
        help_text="as Kite shows it, such as AB1234; a login of anybody else is refused",
    )
    api_key = models.CharField(
        "API key",
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"^[A-Za-z0-9]+\Z", "letters and digits")],
        help_text="of your app at developers.kite.trade",
    )
    api_secret = models.BinaryField(editable=False)
    is_active = models.BooleanField(default=True, help_text="it logs in every trading day")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = kept.kept()

    def __str__(self) -> str:
        return self.name

    @property
    def secret_place(self) -> str:
        return f"accounts_brokeraccount/{self.pk}/api_secret"


class BrokerSession(models.Model):
    """A login at a broker. The newest of an account is the one that counts; the token is sealed, and gone when the
    session is over."""

    class End(models.TextChoices):
        SUPERSEDED = "SUPERSEDED", "a later login took its place"
        REFUSED = "REFUSED", "the broker refused its token"
        LOGGED_OUT = "LOGGED_OUT", "an operator ended it"
        CREDENTIALS = "CREDENTIALS", "the account's credentials were changed"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="sessions")
    number = models.IntegerField(help_text="of the account's logins, from 1 on")
    access_token = models.BinaryField(editable=False)
    logged_in_at = models.DateTimeField(help_text="as the broker states it")
    logged_in_by = models.CharField(max_length=150)
    dies_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=12, choices=End.choices, blank=True)
    words = models.CharField(max_length=300, blank=True, help_text="of the broker, where it refused")

    class Meta:
        triggers = kept.kept()
        constraints = [
            models.UniqueConstraint(fields=["account", "number"], name="broker_session_once"),
            models.UniqueConstraint(
                fields=["account"], condition=models.Q(ended_at=None), name="broker_session_one_owner"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} login {self.number}"

    @property
    def token_place(self) -> str:
        return f"accounts_brokersession/{self.pk}/access_token"


class BrokerLogin(models.Model):
    """A way to the broker's login page that is open: good once, for a while, for one browser session. Only digests
    of the secrets are stored."""

    account = models.ForeignKey(BrokerAccount, on_delete=models.PROTECT, related_name="logins")
    state_digest = models.CharField(max_length=64, unique=True)
    browser_digest = models.CharField(max_length=64)
    actor = models.CharField(max_length=150)
    started_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.account} {self.actor} {self.started_at:%Y-%m-%d %H:%M}"


class LiveAct(models.Model):
    """What a person did that live trading asks for before it starts. Append-only."""

    class Kind(models.TextChoices):
        TERMS = "TERMS", "acknowledged the terms of automation"
        UNLOCK = "UNLOCK", "gave the password again"
        READINESS = "READINESS", "ran the readiness check"

    kind = models.CharField(max_length=9, choices=Kind)
    actor = models.CharField(max_length=150)
    at = models.DateTimeField()
    version = models.CharField(max_length=20, blank=True, help_text="of the terms")
    is_passed = models.BooleanField(default=True)
    data = models.JSONField(default=list, help_text="the text that was acknowledged, or what was found")

    class Meta:
        permissions = [("trade_live", "May start trading with real money")]
        indexes = [models.Index(fields=["kind", "-at"], name="live_act_recent")]
        triggers = kept.append_only()

    def __str__(self) -> str:
        return f"{self.actor} {self.kind} {self.at:%Y-%m-%d %H:%M}"


class ApiKey(models.Model):
    """A key with which a script acts as its owner, with the roles that the owner has then. Only the key's digest is
    stored. A key that is revoked stays on record."""

    class Scope(models.TextChoices):
        READ = "READ", "read only"
        ACT = "ACT", "read and act"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=60)
    scope = models.CharField(max_length=4, choices=Scope.choices, default=Scope.READ)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the key")
    begins = models.CharField(max_length=12, help_text="of the key, to tell it from others")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="to the minute")
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"], condition=models.Q(revoked_at=None), name="api_key_name_once"
            )
        ]
        triggers = [
            pgtrigger.ReadOnly(name="fixed", exclude=["last_used_at", "revoked_at", "revoked_by"]),
            *kept.kept(),
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.name}"

    @property
    def may_act(self) -> bool:
        """Whether the key itself lets its bearer do more than read; the owner's roles count besides."""
        return self.scope == self.Scope.ACT
