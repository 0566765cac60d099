-- One row per scheduled flight that arrived, with the weather at its airport in the hour it is due to leave.
select
    f.time_hour + to_minutes(f.minute) as departure,
    f.carrier,
    f.flight,
    f.origin,
    f.dest,
    f.distance,
    f.hour,
    f.minute,
    isodow(make_date(f.year, f.month, f.day)) as weekday,
    w.temp, w.dewp, w.humid, w.wind_dir, w.wind_speed, w.precip, w.pressure, w.visib,
    f.arr_delay as arrival_delay
from flights as f
left join weather as w on w.origin = f.origin and w.time_hour = f.time_hour
where f.time_hour + to_minutes(f.minute) >= :start
  and f.time_hour + to_minutes(f.minute) < :end
  and f.arr_delay is not null
