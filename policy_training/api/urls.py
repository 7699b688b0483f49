from django.urls import path

from policy_training.api import (
    benchmarks,
    checkpoints,
    comparing,
    dpo,
    judging,
    merging,
    rewarded,
    selecting,
    views,
)
from policy_training.outgoing.views import POLICIES
from runs.api.outgoing import ModelArchive, PushModel

project_urlpatterns = [
    path("policies", views.Policies.as_view()),
    path("policies/presets", views.LanguageModelPresets.as_view()),
    path("policies/fine-tune", views.FineTune.as_view()),
    path("policies/pretrain", views.Pretrain.as_view()),
    path("policy-trainings/dpo", dpo.TrainDPO.as_view()),
    path("policy-trainings/dpo/presets", dpo.DPOPresets.as_view()),
    path("policy-trainings/ppo", rewarded.TrainPPO.as_view()),
    path("policy-trainings/ppo/presets", rewarded.PPOPresets.as_view()),
    path("policy-trainings/policy-gradient", rewarded.TrainPolicyGradient.as_view()),
    path("policy-trainings/policy-gradient/presets", rewarded.PolicyGradientPresets.as_view()),
    path("policy-trainings/best-of-n", rewarded.TrainBestOfN.as_view()),
    path("policy-trainings/best-of-n/presets", rewarded.BestOfNPresets.as_view()),
    path("policy-trainings/merge", merging.MergePolicies.as_view()),
    path("policies/sample", views.Sample.as_view()),
    path("policy-trainings/adopt", checkpoints.AdoptCheckpoint.as_view()),
    path("policy-comparisons", comparing.Comparisons.as_view()),
    path("policy-comparisons/along", comparing.AlongRun.as_view()),
    path("policy-comparisons/<int:pk>", comparing.OneComparison.as_view()),
    path("policy-selections", selecting.Selections.as_view()),
    path("selected-policy", selecting.ProjectsSelectedPolicy.as_view()),
    path("ai-judgings", judging.AIJudgings.as_view()),
    path("benchmark-files", benchmarks.BenchmarkFiles.as_view()),
    path("policies/<int:pk>/benchmarks", benchmarks.Benchmarks.as_view()),
    path("policies/import", views.ImportPolicy.as_view()),
    path("policies/<int:pk>/evaluations", views.Evaluations.as_view()),
    path("policies/<int:pk>", views.OnePolicy.as_view()),
    path("policies/<int:pk>/archive", ModelArchive.as_view(models=POLICIES)),
    path("policies/<int:pk>/push", PushModel.as_view(models=POLICIES)),
]
