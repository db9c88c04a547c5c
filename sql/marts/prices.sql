with moments as (
    select * from moments
),

prices as (
    select * from inputs.prices
)

select
    moments.as_of,
    prices.asset,
    prices.currency,
    prices.price,
    prices.source,
    prices.time,
    prices.sources_agreed
from prices
cross join moments
