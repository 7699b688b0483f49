from django.urls import path

from policy_training import outgoing_views, views

app_name = "policies"

urlpatterns = [
    path("", views.policies, name="list"),
    path("fine-tune/", views.fine_tune, name="fine_tune"),
    path("pretrain/", views.pretrain, name="pretrain"),
    path("evaluate/", views.evaluate, name="evaluate"),
    path("sample/", views.sample, name="sample"),
    path("import/", views.import_policy, name="import"),
    path("<int:pk>/", views.policy, name="policy"),
    path("<int:pk>/describe/", outgoing_views.describe, name="describe"),
    path("<int:pk>/archive/", outgoing_views.archive, name="archive"),
    path("<int:pk>/push/", outgoing_views.push, name="push"),
]
