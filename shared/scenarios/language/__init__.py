"""What a scenario file may say, part by part; `shared/scenarios/model.py` is the whole, with the grammar."""
