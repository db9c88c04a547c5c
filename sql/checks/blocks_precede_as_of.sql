-- No snapshot block and no price lies after the attested moment, and a block's distance from it is told right.
select
    'snapshot_blocks' as table_name,
    chain as about,
    time,
    as_of,
    distance_seconds
from snapshot_blocks
where
    time > as_of
    or distance_seconds <> (epoch_us(as_of) - epoch_us(time)) // 1000000
union all
select
    'prices' as table_name,
    asset as about,
    time,
    as_of,
    null as distance_seconds
from prices
where time > as_of
