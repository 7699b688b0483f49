from django.urls import include, path

from rounds import views

app_name = "rounds"

urlpatterns = [
    path("", views.round_list, name="list"),
    path("first-steps/", views.first_steps, name="first_steps"),
    path("start/", views.start, name="start"),
    path("schedules/", include("rounds.schedules.urls")),
    path("<int:number>/", views.round_page, name="round"),
    path("<int:number>/end-annotation/", views.end_annotation, name="end_annotation"),
    path("<int:number>/reopen-annotation/", views.reopen_annotation, name="reopen_annotation"),
    path("<int:number>/retry/", views.retry, name="retry"),
    path("<int:number>/cancel/", views.cancel, name="cancel"),
    path("<int:number>/continue/", views.continue_round, name="continue"),
]
