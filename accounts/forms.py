"""Forms of sign-in, invitations and the own profile."""

from typing import Any

from allauth.account.forms import LoginForm
from allauth.account.forms import ResetPasswordForm as AllauthResetPasswordForm
from django import forms
from django.contrib.auth.password_validation import validate_password
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.backends import matching_users, organization_choice
from accounts.models import User
from accounts.services import password_resets, pictures


class SignInForm(LoginForm):
    """E-mail and password; asks for the organization only after a right password that fits in several."""

    organization = forms.ChoiceField(label=_("Organization"), required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("Email")
        self.fields["password"].label = _("Password")
        self.fields["organization"].choices = [(self.data.get("organization", ""), "")]

    def user_credentials(self) -> dict[str, Any]:
        """Return what the backend needs."""
        return {**super().user_credentials(), "organization": self.cleaned_data.get("organization", "")}

    def clean(self) -> dict[str, Any]:
        """Authenticate; when several accounts fit, show their organizations and ask.

        allauth goes first: whoever is locked out learns nothing, not even that a password was right.
        """
        try:
            return dict(super().clean() or {})
        except forms.ValidationError as err:
            data = self.cleaned_data
            if err.code == "too_many_login_attempts" or data.get("organization"):
                raise
            several = matching_users(self.request, data["login"], data["password"])
            if len(several) < 2:
                raise
        field = self.fields["organization"]
        field.widget = forms.Select()
        field.choices = [("", _("Choose …")), *((organization_choice(u), _place(u)) for u in several)]
        # The password is asked again by the browser's rules; it is never sent back to the page.
        raise forms.ValidationError(
            _("You have an account in several organizations: choose one, and type your password once more.")
        )


def _place(user: User) -> Any:
    return user.organization.name if user.organization else _("Operator of this installation")


class ResetPasswordForm(AllauthResetPasswordForm):
    """E-mail; one link for each account with that address."""

    def clean_email(self) -> str:
        """Take any address: who has an account is not looked up here."""
        return str(self.cleaned_data["email"])

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        """Leave the rest to the worker."""
        password_resets.ask(self.cleaned_data["email"])
        return str(self.cleaned_data["email"])


class InvitationForm(forms.Form):
    """Name and password of somebody who follows an invitation."""

    name = forms.CharField(label=_("Your name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        label=_("Password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 10 characters."),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean_password(self) -> str:
        """Hold the password against the rules."""
        password = str(self.cleaned_data["password"])
        validate_password(password, User(email=self.email, name=str(self.cleaned_data.get("name", ""))))
        return password


class ProfileForm(forms.ModelForm):
    """What a person says about herself; recipients see it on the landing page."""

    photo = forms.FileField(label=_("Photo"), required=False, help_text=_("PNG, JPEG or WebP, up to 10 MB."))
    remove_photo = forms.BooleanField(label=_("Remove my photo"), required=False)

    class Meta:
        model = User
        fields = ["name", "title", "phone"]
        labels = {"name": _("Name"), "title": _("Job title"), "phone": _("Phone")}

    def clean_photo(self) -> bytes | None:
        """Return the photo re-encoded, or None if none was chosen."""
        upload = self.cleaned_data.get("photo")
        if not upload:
            return None
        try:
            return pictures.reencode(upload, side=512)
        except pictures.BadPicture as err:
            raise forms.ValidationError(str(err)) from err
