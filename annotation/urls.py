from django.urls import include, path

app_name = "annotation"

urlpatterns = [
    path("", include("annotation.annotator.urls")),
    path("settings/", include("annotation.guidelines.urls")),
    path("live/", include("annotation.conversation.urls")),
    path("batches/", include("annotation.review.urls")),
    path("who-gets-what/", include("annotation.assigning.urls")),
    path("questions/", include("annotation.questions.urls")),
    path("disagreements/", include("annotation.adjudication.urls")),
    path("checks/", include("annotation.qualification.urls")),
    path("written/", include("annotation.writing.urls")),
    path("quality/", include("annotation.quality.urls")),
]
