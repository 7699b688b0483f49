from django.urls import path

from policy_training import views
from policy_training.benchmarks import views as benchmark_views
from policy_training.chaining import views as chaining_views
from policy_training.checkpoints import adopt_checkpoint
from policy_training.comparing import views as comparing_views
from policy_training.judging import views as judging_views
from policy_training.outgoing.views import POLICIES
from policy_training.selecting import views as selecting_views
from policy_training.serving import playground_views as playground
from policy_training.serving import views as serving
from runs.adopting.views import adopting_view
from runs.hub.model_pages import archive_view, describe_view, push_view

app_name = "policies"

urlpatterns = [
    path("", views.policies, name="list"),
    path("fine-tune/", views.fine_tune, name="fine_tune"),
    path("pretrain/", views.pretrain, name="pretrain"),
    path("dpo/", views.dpo, name="dpo"),
    path("ppo/", views.ppo, name="ppo"),
    path("policy-gradient/", views.policy_gradient, name="policy_gradient"),
    path("best-of-n/", views.best_of_n, name="best_of_n"),
    path("chained/<int:pk>/cancel/", chaining_views.cancel, name="cancel_chained"),
    path("chained/<int:pk>/retry/", chaining_views.retry, name="retry_chained"),
    path("merge/", views.merge, name="merge"),
    path("evaluate/", views.evaluate, name="evaluate"),
    path("compare/", comparing_views.compare, name="compare"),
    path("compare/along/<int:run>/", comparing_views.along, name="along"),
    path("comparisons/<int:pk>/", comparing_views.comparison, name="comparison"),
    path("frontier/", selecting_views.frontier_page, name="frontier"),
    path("select/", selecting_views.select, name="select"),
    path("selections/<int:pk>/", selecting_views.selection, name="selection"),
    path("unpin/", selecting_views.unpin, name="unpin"),
    path("<int:pk>/pin/", selecting_views.pin, name="pin"),
    path("judge/", judging_views.judge, name="judge"),
    path("benchmark/", benchmark_views.benchmark, name="benchmark"),
    path("benchmark/files/", benchmark_views.benchmark_files, name="benchmark_files"),
    path("<int:pk>/measured/", benchmark_views.measured, name="measured"),
    path("sample/", views.sample, name="sample"),
    path("adopt/<int:run>/", adopting_view(adopt_checkpoint), name="adopt"),
    path("import/", views.import_policy, name="import"),
    path("<int:pk>/", views.policy, name="policy"),
    path("<int:pk>/serving/", serving.live, name="serving"),
    path("<int:pk>/serving/start/", serving.start, name="start_serving"),
    path("<int:pk>/serving/stop/", serving.stop, name="stop_serving"),
    path("<int:pk>/playground/", playground.playground, name="playground"),
    path("<int:pk>/playground/answers/", playground.answers, name="playground_answers"),
    path("<int:pk>/playground/answers/state/", playground.state, name="playground_state"),
    path("<int:pk>/playground/answers/stop/", playground.stop, name="playground_stop"),
    path("<int:pk>/describe/", describe_view(POLICIES), name="describe"),
    path("<int:pk>/archive/", archive_view(POLICIES), name="archive"),
    path("<int:pk>/push/", push_view(POLICIES), name="push"),
]
