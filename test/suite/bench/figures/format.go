package figures

import (
	"fmt"
	"strconv"
	"time"
)

// Mebibytes is a size in MiB.
func Mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// Milliseconds is a time in milliseconds.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", Mebibytes(bytes)) }

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", Milliseconds(d)) }

func wholeMillis(d time.Duration) string { return fmt.Sprintf("%.0f ms", Milliseconds(d)) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func micros(v float64) string { return Count(v) + " µs" }

// Count shows a number without decimals, with commas.
func Count(v float64) string {
	text := strconv.FormatFloat(v, 'f', 0, 64)
	digits := len(text)
	if v < 0 {
		digits--
	}
	for at := 3; at < digits; at += 3 {
		i := len(text) - at - (at-3)/3
		text = text[:i] + "," + text[i:]
	}
	return text
}

// ratio is 0 where there is nothing to compare with.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
