CREATE OR REPLACE TEMP TABLE arriving_marks (mark UUID)
