with moments as (
    select * from moments
),

items as (
    select
        item,
        area,
        severity,
        count,
        description
    from inputs.coverage_items
    union all
    select * from reserve_limits
    union all
    select * from liability_limits
    union all
    select * from period_limits
)

select
    moments.as_of,
    items.item,
    items.area,
    items.severity,
    items.count,
    items.description
from items
cross join moments
