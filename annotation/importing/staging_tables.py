"""The tables of a staging file (`staging`), as SQLite reads them."""

TABLES = """
CREATE TABLE row_id (id TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID;
CREATE TABLE content_digest (kind TEXT, id TEXT, digest TEXT, line INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE pair (seq INTEGER PRIMARY KEY, line INTEGER, group_key BLOB, payload TEXT);
CREATE TABLE judgment
  (seq INTEGER PRIMARY KEY, line INTEGER, task_key BLOB, annotator TEXT, annotator_kind TEXT,
   first_turn TEXT, content TEXT, question BLOB, verdict BLOB, joins INTEGER, prompt_id TEXT,
   response_ids TEXT, n_responses INTEGER, known_task INTEGER, payload TEXT);
CREATE INDEX judgment_by_content ON judgment (content);
CREATE TABLE known_verdict
  (verdict BLOB, pseudonym TEXT, batch TEXT, prompt_id TEXT, response_ids TEXT, number INTEGER,
   PRIMARY KEY (verdict, pseudonym, batch, prompt_id, response_ids));
CREATE TABLE known_task (task INTEGER PRIMARY KEY, question BLOB, prompt_id TEXT, response_ids TEXT, room INTEGER);
CREATE INDEX known_task_by_question ON known_task (question);
CREATE TABLE known_annotator (task INTEGER, pseudonym TEXT, PRIMARY KEY (task, pseudonym)) WITHOUT ROWID;
CREATE TABLE pseudonym
  (annotator TEXT, annotator_kind TEXT, pseudonym TEXT, PRIMARY KEY (annotator, annotator_kind)) WITHOUT ROWID;
CREATE TABLE prompt_row (seq INTEGER PRIMARY KEY, line INTEGER, first_turn TEXT, payload TEXT);
"""
# Two prompts may have the same words: where a file names ids, they tell.
SAME_IDS = "prompt_id = COALESCE(?, prompt_id) AND response_ids = COALESCE(?, response_ids)"
# If one user judged the same task twice in a file, it is imported as two tasks: one judgment per user and task.
# Users are compared after pseudonyms are resolved, since two names may be one user.
TASKS = """
CREATE INDEX judgment_of_task ON judgment (task_key, seq);
CREATE TABLE duplicate AS
  SELECT seq, task_key, ROW_NUMBER() OVER
    (PARTITION BY task_key, COALESCE(pseudonym.pseudonym, judgment.annotator) ORDER BY seq) AS occurrence
  FROM judgment LEFT JOIN pseudonym USING (annotator, annotator_kind) WHERE known_task IS NULL;
CREATE INDEX duplicate_of_task ON duplicate (task_key, occurrence, seq);
CREATE TABLE task AS
  SELECT task_key, occurrence, MIN(seq) AS first FROM duplicate GROUP BY task_key, occurrence;
CREATE INDEX task_in_order ON task (first);
"""
