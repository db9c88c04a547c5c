-- All previous tables come from the one publication at previous_as_of, and there are none when there is no such publication.
with previous_rows as (
    select
        'reserve_ratios' as table_name,
        as_of,
        count(*) as row_count
    from inputs.previous_reserve_ratios
    group by as_of
    union all
    select
        'wallet_balances' as table_name,
        as_of,
        count(*) as row_count
    from inputs.previous_wallet_balances
    group by as_of
    union all
    select
        'prices' as table_name,
        as_of,
        count(*) as row_count
    from inputs.previous_prices
    group by as_of
    union all
    select
        'reconciliation' as table_name,
        as_of,
        count(*) as row_count
    from inputs.previous_reconciliation
    group by as_of
)

select
    previous_rows.table_name,
    previous_rows.as_of,
    previous_rows.row_count,
    moments.previous_as_of
from previous_rows
cross join moments
where previous_rows.as_of is distinct from moments.previous_as_of
union all
select
    'reserve_ratios' as table_name,
    null as as_of,
    0 as row_count,
    moments.previous_as_of
from moments
where
    moments.previous_as_of is not null
    and not exists (select 1 from inputs.previous_reserve_ratios)
union all
select
    'moments' as table_name,
    moments.as_of,
    1 as row_count,
    moments.previous_as_of
from moments
where moments.previous_as_of >= moments.as_of
