from django.urls import path

from runs import views

app_name = "runs"

urlpatterns = [
    path("", views.run_list, name="list"),
    path("<int:pk>/", views.run_page, name="run"),
    path("<int:pk>/live/", views.run_live, name="live"),
    path("<int:pk>/metrics/", views.run_metrics, name="metrics"),
    path("<int:pk>/figures/", views.run_figures, name="figures"),
    path("<int:pk>/answers/", views.run_answers, name="answers"),
    path("<int:pk>/files/<str:name>", views.run_file, name="file"),
    path("<int:pk>/cancel/", views.cancel, name="cancel"),
    path("<int:pk>/retry/", views.retry, name="retry"),
    path("<int:pk>/resume/", views.resume, name="resume"),
    path("<int:pk>/limit/", views.limit, name="limit"),
    path("<int:pk>/clone/", views.clone, name="clone"),
]
