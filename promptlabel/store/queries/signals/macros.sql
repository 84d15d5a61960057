CREATE OR REPLACE TEMP MACRO words(phrase) AS
    list_distinct(regexp_extract_all(replace(lower(replace(phrase, 'İ', 'i')), 'ς', 'σ'), '[\p{L}\p{N}_]+'));
CREATE OR REPLACE TEMP MACRO pieces(phrase) AS
    regexp_extract_all(phrase, '[^\t-\r\x1c-\x1f\x{85}\p{Z}]+');
CREATE OR REPLACE TEMP MACRO trimmed(phrase) AS
    regexp_replace(phrase, '^[\t-\r\x1c-\x1f\x{85}\p{Z}]+|[\t-\r\x1c-\x1f\x{85}\p{Z}]+$', '', 'g');
CREATE OR REPLACE TEMP MACRO topic(phrase) AS
    list_filter(words(phrase), lambda word: length(word) >= 4);
CREATE OR REPLACE TEMP MACRO likeness(one, other) AS
    coalesce(len(list_intersect(one, other)) / nullif(len(one) + len(other) - len(list_intersect(one, other)), 0), 0);
CREATE OR REPLACE TEMP MACRO is_laughing(phrase) AS regexp_matches(phrase,
    '(?i)(?:^|[^\p{L}\p{N}_])(?:a*(?:ha){2,}h?|he(?:he)+|lo+l+|lmf?ao+|rofl)(?:$|[^\p{L}\p{N}_])|[😂🤣😆😹]');
CREATE OR REPLACE TEMP MACRO seconds(earlier, later) AS
    (epoch_us(later) - epoch_us(earlier)) / 1000000;
CREATE OR REPLACE TEMP MACRO number(value) AS
    CASE value WHEN 'null' THEN NULL WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE try_cast(value AS DOUBLE) END;
CREATE OR REPLACE TEMP MACRO text_of(value) AS
    CASE WHEN starts_with(value, '"') THEN value ->> '$' END;
CREATE OR REPLACE TEMP MACRO entry(name, value) AS
    CASE WHEN value IS NULL THEN '' ELSE concat(',"', name, '":', value::DOUBLE) END;
CREATE OR REPLACE TEMP MACRO entry_of(event, part, value) AS
    CASE WHEN value IS NULL THEN '' ELSE concat(',', to_json(concat(event, part)), ':', value::DOUBLE) END
