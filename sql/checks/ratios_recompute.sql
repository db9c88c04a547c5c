-- A ratio divides the totals beside it, is rounded down, and agrees with fully_backed and status.
--
-- Recomputed by plain integer division rather than by the macro that made it. Totals of 30 digits or more are cut to
-- whole 10^9 first, because the product would not fit; the ratio may then differ in its last digit.
with stated as (
    select
        asset,
        reserves as numerator,
        liabilities_gross as denominator,
        ratio_gross as ratio,
        'ratio_gross' as ratio_name
    from reserve_ratios
    union all
    select
        asset,
        reserves as numerator,
        liabilities_net as denominator,
        ratio_net as ratio,
        'ratio_net' as ratio_name
    from reserve_ratios
    union all
    select
        asset,
        reserves as numerator,
        liabilities_netted_by_user as denominator,
        ratio_netted_by_user as ratio,
        'ratio_netted_by_user' as ratio_name
    from reserve_ratios
    union all
    select
        asset,
        reserves - reserves_encumbered as numerator,
        liabilities_gross as denominator,
        ratio_unencumbered as ratio,
        'ratio_unencumbered' as ratio_name
    from reserve_ratios
    union all
    select
        asset,
        reserves_proven as numerator,
        liabilities_gross as denominator,
        ratio_proven as ratio,
        'ratio_proven' as ratio_name
    from reserve_ratios
),

scaled as (
    select
        *,
        case
            when greatest(numerator, denominator) >= 100000000000000000000000000000 then 1000000000 else 1
        end::hugeint as unit
    from stated
),

recomputed as (
    select
        *,
        case
            when denominator::hugeint // unit > 0
                then (numerator::hugeint // unit) * 100000000::hugeint // (denominator::hugeint // unit)
        end as ratio_units
    from scaled
)

select
    asset,
    ratio_name,
    numerator,
    denominator,
    ratio::varchar as stated
from recomputed
where
    (denominator > 0) <> (ratio is not null)
    or abs(replace(ratio::varchar, '.', '')::hugeint - ratio_units) > (unit > 1)::integer
union all
select
    asset,
    'fully_backed and status' as ratio_name,
    reserves as numerator,
    liabilities_gross as denominator,
    fully_backed::varchar || ', ' || status as stated
from reserve_ratios
where
    fully_backed <> (surplus >= 0)
    or fully_backed is distinct from coalesce(ratio_gross >= 1, reserves >= 0)
    or (status = 'short') = fully_backed
    or (status = 'no_liabilities') <> (liabilities_gross = 0)
