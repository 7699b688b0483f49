from django.urls import path

from annotation.review import ai_judges, from_answers, queue, tasks, throughput_views, views, work

urlpatterns = [
    path("", views.batches, name="batches"),
    path("queue/", queue.queue, name="queue"),
    path("queue/leases/<int:pk>/release/", queue.release, name="release_lease"),
    path("work-done/", work.work_done, name="work_done"),
    path("throughput/", throughput_views.all_throughput, name="all_throughput"),
    path("pay-rate/", throughput_views.set_pay_rate, name="set_pay_rate"),
    path("<int:pk>/throughput/", throughput_views.throughput, name="throughput"),
    path("new/", views.new_batch, name="new_batch"),
    path("from-answers/", from_answers.batch_from_answers, name="batch_from_answers"),
    path("from-answers/<int:pk>/", from_answers.batch_being_made, name="batch_being_made"),
    path("from-answers/<int:pk>/live/", from_answers.batch_being_made_live, name="batch_being_made_live"),
    path("<int:pk>/", views.batch, name="batch"),
    path("<int:pk>/ai-judges/", ai_judges.ai_judges, name="ai_judges"),
    path("<int:pk>/overlap/", views.change_overlap, name="change_overlap"),
    path("<int:pk>/warnings/", views.set_warnings, name="set_warnings"),
    path("<int:pk>/exclude/", views.exclude_batch, name="exclude_batch"),
    path("<int:pk>/open/", views.open_batch, name="open_batch"),
    path("<int:pk>/close/", views.close_batch, name="close_batch"),
    path("<int:pk>/skips/", tasks.batch_skips, name="batch_skips"),
    path("<int:pk>/tasks/<int:task_pk>/", tasks.batch_task, name="batch_task"),
    path("<int:pk>/tasks/<int:task_pk>/priority/", queue.set_task_priority, name="set_task_priority"),
    path("<int:pk>/tasks/<int:task_pk>/ask-again/", queue.ask_again, name="ask_again"),
    path("<int:pk>/judgments/<int:judgment_pk>/", views.judgment, name="judgment"),
]
