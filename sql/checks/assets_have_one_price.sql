-- Every asset of the registry has exactly one price, in USD and above zero.
select
    assets.asset,
    count(prices.asset) as prices,
    min(prices.price) as lowest_price,
    min(prices.currency) as currency
from inputs.assets as assets
left join prices on assets.asset = prices.asset
group by assets.asset
having
    count(prices.asset) <> 1
    or min(prices.price) <= 0
    or min(prices.currency) <> 'USD'
