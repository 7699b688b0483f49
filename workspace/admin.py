"""Django's admin site, for operators. What is append-only is read-only here too."""

from typing import TYPE_CHECKING, Any, cast

from axes.models import AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from workspace.actions import record_audit
from workspace.models import (
    ApiToken,
    AuditEvent,
    Criterion,
    Guideline,
    Invitation,
    Membership,
    Project,
    QuestionSettings,
    User,
)
from workspace.naming import require_one_script

# Generic for the type checker only; at run time the class takes no parameters.
if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(AnyModelAdmin):
    """Looking only: rows change through actions, with an audit row each."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


PRIVILEGES = ("is_staff", "is_superuser", "groups", "user_permissions")


class RenamedForm(UserChangeForm):
    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if "username" in self.changed_data:
            require_one_script(name)
        return name


@admin.register(User)
class RoundtableUserAdmin(UserAdmin):
    list_display = ("username", "kind", "is_active", "is_staff", "last_login")
    list_filter = ("kind", "is_active", "is_staff")
    readonly_fields = ("kind", "pseudonym")
    form = RenamedForm

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Accounts of operators, their passwords included, only for superusers: who may change people's accounts would
        otherwise take over one that may do more, or raise their own.
        """
        if obj is not None and (obj.is_staff or obj.is_superuser) and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, *PRIVILEGES)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # People are deactivated; their judgments stay.
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Operators change accounts here and nowhere else; the audit trail has it too, without the values."""
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            actor = cast(User, request.user)
            action = "user.change" if change else "user.create"
            record_audit(actor=actor, action=action, project=None, target=obj, fields=form.changed_data)

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            user = User.objects.get(pk=id)
            record_audit(
                actor=cast(User, request.user), action="user.set_password", project=None, target=user
            )
        return response


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "actor", "action", "project", "target_type", "target_id")
    list_filter = ("action",)
    date_hierarchy = "created_at"


@admin.register(Project)
class ProjectAdmin(ReadOnlyAdmin):
    list_display = ("name", "slug", "overlap", "created_at")


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ("project", "user", "role")
    list_filter = ("role",)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("project", "role", "invited_by", "expires_at", "accepted_by")
    exclude = ("token_hash",)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "prefix", "user", "project", "scope", "role", "expires_at", "revoked_at")
    exclude = ("token_hash",)


@admin.register(AccessFailureLog)
class AccessFailureAdmin(ReadOnlyAdmin):
    list_display = ("attempt_time", "username", "ip_address", "path_info")
    search_fields = ("username", "ip_address")


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    list_display = ("attempt_time", "username", "ip_address", "logout_time")
    search_fields = ("username", "ip_address")
    exclude = ("session_hash",)


# Rights are given to accounts, with an audit row each; a group's would change without one.
admin.site.unregister(Group)
admin.site.register([Criterion, QuestionSettings, Guideline], ReadOnlyAdmin)
admin.site.site_header = "Roundtable: operators"
