from django.urls import path

from rounds.api import first_steps, rounds, schedules

project_urlpatterns = [
    path("first-steps", first_steps.FirstStepsOfProject.as_view()),
    path("rounds", rounds.Rounds.as_view()),
    path("rounds/<int:number>", rounds.OneRound.as_view()),
    path("rounds/<int:number>/end-annotation", rounds.EndAnnotation.as_view()),
    path("rounds/<int:number>/reopen-annotation", rounds.ReopenAnnotation.as_view()),
    path("rounds/<int:number>/retry", rounds.RetryRound.as_view()),
    path("rounds/<int:number>/cancel", rounds.CancelRound.as_view()),
    path("rounds/<int:number>/continue", rounds.ContinueRound.as_view()),
    path("schedules", schedules.Schedules.as_view()),
    path("schedules/<int:pk>", schedules.OneSchedule.as_view()),
    path("schedules/<int:pk>/pause", schedules.PauseSchedule.as_view()),
    path("schedules/<int:pk>/resume", schedules.ResumeSchedule.as_view()),
    path("firings/<int:pk>/retry", schedules.RetryFiring.as_view()),
    path("firings/<int:pk>/drop", schedules.DropFiring.as_view()),
]
