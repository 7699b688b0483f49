"""Thin pages over workspace.actions: log in, projects, people, invitations."""

import sys
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from workspace import actions, joining, members
from workspace.access import access_invitation, access_member
from workspace.errors import ActionError
from workspace.forms import (
    AcceptForm,
    InviteForm,
    LoginForm,
    PasswordForm,
    ProjectForm,
    add_errors,
)
from workspace.front_door import disallowed_host, form_from_another_address, refusal, site_url
from workspace.languages import keep_language
from workspace.login_throttle import (
    find_lock,
    fold_username,
    locked_response,
    record_failure,
    throttled_address,
)
from workspace.models import Membership, Project
from workspace.problems import is_for_program, problem_response
from workspace.readiness import check_readiness
from workspace.request_bodies import UnexpectedFile
from workspace.requests import ProjectRequest, current_user, perform_action, project_view
from workspace.roles import Capability, capabilities_of, may_create_projects
from workspace.unavailable import unavailable_response, wants_no_page

INVITATION_COOKIE_SECONDS = 300


class Login(LoginView):
    template_name = "workspace/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        """Who judges on one project has come for it; the list of projects would be one click more."""
        person = current_user(self.request)
        memberships = person.memberships.select_related("project")[:2]
        if len(memberships) == 1 and not may_create_projects(person):
            [membership] = memberships
            if Capability.REVIEW not in capabilities_of(person, membership.project):
                return reverse("workspace:project", kwargs={"slug": membership.project.slug})
        return super().get_default_redirect_url()

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        if language := current_user(self.request).language:
            keep_language(response, language)
        return response


class ChangePassword(PasswordChangeView):
    """For people themselves: managers cannot set passwords, and operators need not."""

    template_name = "workspace/change_password.html"
    form_class = PasswordForm
    success_url = reverse_lazy("workspace:home")

    @transaction.atomic
    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        response = super().form_valid(form)
        person = current_user(self.request)
        actions.record_audit(actor=person, action="user.change_own_password", project=None, target=person)
        messages.success(self.request, _("Your password is changed."))
        return response

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if find_lock(fold_username(current_user(request).username), throttled_address(request)):
            return locked_response(request)
        return super().post(request, *args, **kwargs)

    def form_invalid(self, form: PasswordChangeForm) -> HttpResponse:
        # Whoever sits at somebody's open session may guess no more often than at the login.
        guessed = form.has_error("old_password", "password_incorrect")
        if guessed and record_failure(self.request, fold_username(current_user(self.request).username)):
            return locked_response(self.request)
        return self.render_to_response(self.get_context_data(form=form), status=422)


@require_GET
def health(request: HttpRequest) -> JsonResponse:
    """The process answers and its database does too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})


@require_GET
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """Whether pages can be served, with the reasons why not."""
    found = check_readiness()
    checks = {name: {"ok": not sentence, "message": sentence} for name, sentence in found.items()}
    bad = any(found.values())
    return JsonResponse(
        {"status": "not ready" if bad else "ready", "checks": checks}, status=503 if bad else 200
    )


@require_GET
@login_required
def home(request: HttpRequest) -> HttpResponse:
    memberships = current_user(request).memberships.select_related("project").order_by("project__name")
    context = {"memberships": memberships, "may_create_projects": may_create_projects(request.user)}
    return render(request, "workspace/home.html", context)


@require_http_methods(["GET", "POST"])
@login_required
def new_project(request: HttpRequest) -> HttpResponse:
    """Whoever opens a project becomes its first manager, and is shown what to do first."""
    if not may_create_projects(request.user):
        raise Http404("No such page.")
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = actions.create_project(actor=current_user(request), **form.cleaned_data)
        except ActionError as error:
            add_errors(form, error)
        else:
            return redirect("rounds:first_steps", slug=project.slug)
    status = 422 if form.is_bound else 200
    return render(request, "workspace/new_project.html", {"form": form}, status=status)


@require_GET
@project_view(Capability.OPEN)
def project_page(request: ProjectRequest) -> HttpResponse:
    slug = request.project.slug
    if Capability.REVIEW not in request.capabilities:
        return redirect("annotation:overview", slug=slug)
    return redirect("rounds:list", slug=slug)


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def people(request: ProjectRequest) -> HttpResponse:
    # Shown once: only the hash of its token is kept.
    cookie = _invitation_cookie(request.project)
    kept = request.get_signed_cookie(cookie["key"], default="", max_age=INVITATION_COOKIE_SECONDS)
    response = _people_page(request, InviteForm(), links=_read_links(request, kept or ""))
    if cookie["key"] in request.COOKIES:
        response.delete_cookie(**cookie)
    return response


def _read_links(request: ProjectRequest, kept: str) -> list[dict[str, str]]:
    """The links of the invitations that the cookie names, each with whom it is for."""
    keys_and_tokens = kept.split(".")[1:]
    tokens = dict(zip(keys_and_tokens[::2], keys_and_tokens[1::2], strict=True))
    notes = dict(request.project.invitations.filter(pk__in=tokens).values_list("pk", "note"))
    return [
        {"note": notes[int(pk)], "link": site_url(request, "workspace:accept_invitation", token)}
        for pk, token in tokens.items()
        if int(pk) in notes
    ]


def _invitation_cookie(project: Project) -> dict[str, Any]:
    """Where new invitations' tokens wait for the page that shows their links: in the browser of who made them, for a
    moment. In the session they would lie in the database, readable and usable.
    """
    return {
        "key": f"invitation-link-{project.pk}",
        "path": reverse("workspace:people", args=[project.slug]),
        "samesite": "Strict",
    }


@require_POST
@project_view(Capability.MANAGE)
def send_invitation(request: ProjectRequest) -> HttpResponse:
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _people_page(request, form, status=422)
    made = perform_action(
        request,
        members.invite_several,
        project=request.project,
        role=form.cleaned_data["role"],
        notes=form.cleaned_data["note"],
    )
    if made is None:
        return redirect("workspace:home")
    # A page that answers a form would make another invitation when it is loaded again.
    response = redirect("workspace:people", slug=request.project.slug)
    response.set_signed_cookie(
        value=".".join(["invitations", *(f"{invitation.pk}.{token}" for invitation, token in made)]),
        max_age=INVITATION_COOKIE_SECONDS,
        httponly=True,
        secure=request.is_secure(),
        **_invitation_cookie(request.project),
    )
    return response


def _people_page(
    request: ProjectRequest, form: InviteForm, *, links: Sequence[dict[str, str]] = (), status: int = 200
) -> HttpResponse:
    project = request.project
    context = {
        "form": form,
        "link": links[0]["link"] if len(links) == 1 else "",
        "links": links if len(links) > 1 else [],
        "members": project.memberships.select_related("user").order_by("role", "user__username"),
        "invitations": project.invitations.usable().select_related("invited_by").order_by("-created_at"),
        "roles": Membership.Role.choices,
        "tokens": project.api_tokens.usable().select_related("user", "project").order_by("user__username"),
    }
    return render(request, "workspace/people.html", context, status=status)


@require_POST
@project_view(Capability.MANAGE)
def withdraw(request: ProjectRequest, pk: int) -> HttpResponse:
    perform_action(
        request,
        members.withdraw_invitation,
        invitation=access_invitation(request.project, pk),
        done=gettext("The invitation is withdrawn: its link does not work any more."),
    )
    return redirect("workspace:people", slug=request.project.slug)


@require_POST
@project_view(Capability.MANAGE)
def change_member(request: ProjectRequest, pk: int) -> HttpResponse:
    """Another role, or `pause`, `resume` or `remove`."""
    project = request.project
    user = access_member(project, pk).user
    role = request.POST.get("role", "")
    if role == "pause":
        done = gettext("%(username)s gets no more tasks until you resume them; what they judged stays.") % {
            "username": user.username
        }
        perform_action(request, members.pause_member, project=project, user=user, done=done)
    elif role == "resume":
        done = gettext("%(username)s gets tasks again.") % {"username": user.username}
        perform_action(request, members.resume_member, project=project, user=user, done=done)
    elif role == "remove":
        done = gettext("%(username)s is no longer on the project; what they judged stays.") % {
            "username": user.username
        }
        perform_action(request, members.remove_member, project=project, user=user, done=done)
    else:
        label = dict(Membership.Role.choices).get(role, role).lower()
        done = gettext("%(username)s is %(label)s now.") % {"username": user.username, "label": label}
        perform_action(request, members.change_role, project=project, user=user, role=role, done=done)
    if Capability.MANAGE not in capabilities_of(request.user, project):
        return redirect("workspace:home")
    return redirect("workspace:people", slug=project.slug)


@require_http_methods(["GET", "POST"])
def accept_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Make an account (or, when logged in, join) with a link that works once."""
    try:
        invitation = joining.find_invitation(token)
    except ActionError as error:
        return render(request, "workspace/invitation_unusable.html", {"message": error.message}, status=410)
    # Also of an empty form the mistakes are shown.
    form = AcceptForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        is_filled_in = form.is_valid()
        try:
            if request.user.is_authenticated:
                joining.join_by_invitation(actor=current_user(request), token=token)
                return redirect("workspace:project", slug=invitation.project.slug)
            if is_filled_in:
                user = joining.accept_invitation(token=token, **form.cleaned_data)
                login(request, user, backend="django.contrib.auth.backends.ModelBackend")
                return redirect("workspace:project", slug=invitation.project.slug)
        except ActionError as error:
            add_errors(form, error)
    context = {"form": form, "invitation": invitation}
    status = 422 if form.is_bound else 200
    response = render(request, "workspace/accept_invitation.html", context, status=status)
    # A proxy logs the Referer of what the page asks for: it gets the site's address, not the token.
    response.headers["Referrer-Policy"] = "strict-origin"
    if not request.user.is_authenticated:
        response.set_signed_cookie(value=token, secure=request.is_secure(), **_OPENED_INVITATION)
    return response


# Which invitation somebody goes on with who logs in first: in their browser, not in the address of the login page,
# which stands in logs and in the browser's history.
_OPENED_INVITATION: dict[str, Any] = {
    "key": "opened-invitation",
    "path": "/invitations/",
    "max_age": 3600,
    "httponly": True,
    "samesite": "Lax",
}


@require_GET
@login_required
def go_on_to_invitation(request: HttpRequest) -> HttpResponse:
    token = request.get_signed_cookie(
        _OPENED_INVITATION["key"], default="", max_age=_OPENED_INVITATION["max_age"]
    )
    if not token:
        message = _("Open the link of the invitation once more.")
        return render(request, "workspace/invitation_unusable.html", {"message": message}, status=410)
    return redirect("workspace:accept_invitation", token=token)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_for_program(request):
        return problem_response(404, "not_found", "There is nothing at this address.")
    return render(request, "404.html", status=404)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid token: usually one that was open while somebody logged in or out in another tab."""
    if request.user.is_authenticated and request.path == reverse("workspace:login"):
        # They wanted to be logged in, and are: the login page sends them on.
        return redirect(request.get_full_path())
    if sentence := form_from_another_address(request, reason):
        response = render(request, "403.html", {"wrong_address": sentence}, status=403)
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response
    return render(request, "403.html", {"stale_form": True}, status=403)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A session that could not be stored is called a bad request by Django, also where the disk is full."""
    if isinstance(exception, DisallowedHost):
        return disallowed_host(request)
    if isinstance(exception, UnexpectedFile):
        return refusal(request, str(exception), status=415)
    if isinstance(exception, RequestDataTooBig):
        return refusal(request, gettext("What was sent is larger than this address takes."), status=413)
    error: BaseException | None = exception
    while error is not None:
        if response := unavailable_response(request, error):
            return response
        error = error.__context__
    return refusal(request, gettext("The site could not read what was sent."), has_been_logged=False)


def server_error(request: HttpRequest) -> HttpResponse:
    """503 while the database is away, full or read-only; else our own fault.

    Stands alone: whatever broke may be what other pages are made of.
    """
    # Django calls this while it handles the exception, wherever that was raised: a view, a middleware, a template.
    if response := unavailable_response(request, sys.exception()):
        return response
    message = gettext("The fault is on our side and has been logged. Nothing you saved is lost.")
    if is_for_program(request):
        return problem_response(500, "server_error", message)
    if wants_no_page(request):
        return JsonResponse({"code": "server_error", "message": message, "fields": {}}, status=500)
    return render(request, "500.html", status=500)
