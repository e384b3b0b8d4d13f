// The emoji names that apps use most. One that isn't here is shown by its name.

export const EMOJI = {
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", rotating_light: "🚨", bell: "🔔", lock: "🔒",
  unlock: "🔓", key: "🔑", hourglass: "⌛", hourglass_flowing_sand: "⏳", stopwatch: "⏱️", alarm_clock: "⏰", clock3: "🕒",
  eyes: "👀", "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", wave: "👋", tada: "🎉", rocket: "🚀", fire: "🔥",
  bulb: "💡", memo: "📝", pencil: "📝", mag: "🔍", shield: "🛡️", no_entry: "⛔", no_entry_sign: "🚫", octagonal_sign: "🛑",
  information_source: "ℹ️", question: "❓", exclamation: "❗", heavy_exclamation_mark: "❗", speech_balloon: "💬",
  point_right: "👉", point_down: "👇", arrow_right: "➡️", repeat: "🔁", link: "🔗", gear: "⚙️", wrench: "🔧", package: "📦",
  robot_face: "🤖", wastebasket: "🗑️", calendar: "📅", chart_with_upwards_trend: "📈", bar_chart: "📊", clipboard: "📋",
  large_green_circle: "🟢", green_circle: "🟢", red_circle: "🔴", large_yellow_circle: "🟡", large_blue_circle: "🔵",
  white_circle: "⚪", black_circle: "⚫", smile: "😄", slightly_smiling_face: "🙂", thinking_face: "🤔", heart: "❤️",
  star: "⭐", sparkles: "✨", pray: "🙏", raised_hands: "🙌", clap: "👏", muscle: "💪", zap: "⚡", house: "🏠",
  door: "🚪", mailbox: "📫", email: "📧", computer: "💻", floppy_disk: "💾", file_folder: "📁", pushpin: "📌",
};
