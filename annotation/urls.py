from django.urls import path

from annotation import review_views, settings_views, views

app_name = "annotation"

urlpatterns = [
    path("", views.home, name="home"),
    path("work/", views.work, name="work"),
    path("guideline/", views.guideline, name="guideline"),
    path("settings/", settings_views.settings, name="settings"),
    path("next/", views.next_task, name="next"),
    path("token/", views.token, name="token"),
    path("tasks/<uuid:handle>/", views.task, name="task"),
    path("tasks/<uuid:handle>/content/", views.task_content, name="task_content"),
    path("tasks/<uuid:handle>/draft/", views.draft, name="draft"),
    path("tasks/<uuid:handle>/submit/", views.submit, name="submit"),
    path("tasks/<uuid:handle>/skip/", views.skip, name="skip"),
    path("tasks/<uuid:handle>/unskip/", views.unskip, name="unskip"),
    path("tasks/<uuid:handle>/withdraw/", views.withdraw, name="withdraw"),
    path("batches/", review_views.batches, name="batches"),
    path("batches/<int:pk>/", review_views.batch, name="batch"),
    path("batches/<int:pk>/open/", review_views.open_batch, name="open_batch"),
    path("batches/<int:pk>/close/", review_views.close_batch, name="close_batch"),
    path("batches/<int:pk>/judgments/<int:judgment_pk>/", review_views.judgment, name="judgment"),
]
