"""How many rows one statement writes: more would pass SQLite's limit of parameters or take long to build."""

BULK_CREATE_SIZE = 1000
BULK_UPDATE_SIZE = 500
