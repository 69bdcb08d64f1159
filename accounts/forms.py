"""The form of a broker account."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget

from accounts.broker import secret_set
from accounts.models import BrokerAccount

OF_THE_SESSION = {"user_id", "api_key", "secret"}  # a session is good for these and no others


class BrokerAccountForm(forms.ModelForm):
    """The secret goes in and never comes out; left empty, the one that is stored stays."""

    secret = forms.CharField(
        label="API secret",
        max_length=128,
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="is stored encrypted and never shown; empty: the stored one stays",
    )

    class Meta:
        model = BrokerAccount
        fields = ("name", "broker", "user_id", "api_key", "secret", "is_active")

    def clean_secret(self) -> str:
        secret = self.cleaned_data["secret"].strip()
        if not secret and not self.instance.api_secret:
            raise forms.ValidationError("Kite gives no token without the app's secret.")
        return secret

    def changes_credentials(self) -> bool:
        """Whether another app or another person is meant than before."""
        return bool(OF_THE_SESSION & set(self.changed_data))

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data["secret"]:
            secret_set(self.instance, self.cleaned_data["secret"])
        return super().save(commit)
