from django.urls import path

from annotation.annotator import endpoints, pages

urlpatterns = [
    path("", pages.home, name="home"),
    path("work/", pages.work, name="work"),
    path("guideline/", pages.guideline, name="guideline"),
    path("next/", endpoints.next_task, name="next"),
    path("token/", endpoints.token, name="token"),
    path("tasks/<uuid:handle>/", pages.task, name="task"),
    path("tasks/<uuid:handle>/content/", endpoints.task_content, name="task_content"),
    path("tasks/<uuid:handle>/draft/", endpoints.draft, name="draft"),
    path("tasks/<uuid:handle>/submit/", endpoints.submit, name="submit"),
    path("tasks/<uuid:handle>/skip/", endpoints.skip, name="skip"),
    path("tasks/<uuid:handle>/unskip/", endpoints.unskip, name="unskip"),
    path("tasks/<uuid:handle>/withdraw/", endpoints.withdraw, name="withdraw"),
]
