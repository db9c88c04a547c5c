-- The attested moment, and that of the previous publication (null in the first one).
select
    getvariable('as_of')::timestamp with time zone as as_of,
    getvariable('previous_as_of')::timestamp with time zone as previous_as_of
