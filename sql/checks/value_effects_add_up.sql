-- Quantity and price effect add up to the change in USD, and all three are there or none is.
select
    asset,
    previous_value_usd,
    current_value_usd,
    change_usd,
    quantity_effect_usd,
    price_effect_usd
from deposit_deltas
where
    quantity_effect_usd + price_effect_usd is distinct from change_usd
    or previous_value_usd + change_usd is distinct from case when previous_value_usd is not null then current_value_usd end
    or previous_balance + change is distinct from case when previous_balance is not null then current_balance end
