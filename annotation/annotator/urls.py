from django.urls import path

from annotation.annotator import endpoints, pages

urlpatterns = [
    path("", pages.overview, name="overview"),
    path("work/", pages.annotate, name="annotate"),
    path("guideline/", pages.guideline, name="guideline"),
    path("next/", endpoints.next_task, name="next_task"),
    path("refresh-csrf/", endpoints.refresh_csrf, name="refresh_csrf"),
    path("tasks/<uuid:handle>/", pages.task, name="task"),
    path("tasks/<uuid:handle>/content/", endpoints.task_content, name="task_content"),
    path("tasks/<uuid:handle>/draft/", endpoints.draft, name="draft"),
    path("tasks/<uuid:handle>/submit/", endpoints.submit, name="submit"),
    path("tasks/<uuid:handle>/skip/", endpoints.skip, name="skip"),
    path("tasks/<uuid:handle>/undo-skip/", endpoints.undo_skip, name="undo_skip"),
    path("tasks/<uuid:handle>/withdraw/", endpoints.withdraw, name="withdraw"),
]
