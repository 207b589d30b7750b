import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.FileWriter;
import java.io.IOException;
import java.io.Writer;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The small job on Kafka Streams: count and sum per user, told with every tenth event. Its only argument is an assignment. */
public final class Totals {
  private static final int TOLD_EVERY = 10;
  private static final String STORE = "totals";

  record Total(long count, long cents) {}

  public static void main(String[] arguments) throws Exception {
    ObjectMapper json = new ObjectMapper();
    JsonNode assignment = json.readTree(Path.of(arguments[0]).toFile());
    try (Marks marks = new Marks(assignment)) {
      StreamsBuilder builder = new StreamsBuilder();
      builder.addStateStore(
          Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), totals())
              .withLoggingEnabled(Map.of())
              .withCachingEnabled());
      builder.stream(assignment.get("source").asText(), Consumed.with(Serdes.String(), Serdes.ByteArray()))
          .process(() -> new Adding(json, marks), STORE)
          .to(assignment.get("prefix").asText() + "totals", Produced.with(Serdes.String(), Serdes.ByteArray()));

      // Everything not named here is as Kafka Streams ships it.
      Properties settings = new Properties();
      settings.put(StreamsConfig.APPLICATION_ID_CONFIG, assignment.get("group").asText());
      settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, assignment.get("brokers").asText());
      settings.put(StreamsConfig.STATE_DIR_CONFIG, assignment.get("state").asText());
      settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
      KafkaStreams streams = new KafkaStreams(builder.build(), settings);
      streams.setUncaughtExceptionHandler(
          error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
          });
      streams.start();
      marks.all.await();
      streams.close(Duration.ofSeconds(60)); // flushes the cache and the changelog, and commits
      marks.ended();
    }
  }

  /** One event onto its user's total. */
  private static final class Adding implements Processor<String, byte[], String, byte[]> {
    private final ObjectMapper json;
    private final Marks marks;
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, Total> totals;

    Adding(ObjectMapper json, Marks marks) {
      this.json = json;
      this.marks = marks;
    }

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      this.totals = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<String, byte[]> record) {
      try {
        marks.applying();
        JsonNode event = json.readTree(record.value());
        String user = event.get("user_id").asText();
        JsonNode price = event.get("price");
        long cents = price == null ? 0 : Math.round(price.asDouble() * 100) * event.get("quantity").asLong();
        Total before = totals.get(user);
        Total total = before == null ? new Total(1, cents) : new Total(before.count() + 1, before.cents() + cents);
        totals.put(user, total);
        if (total.count() % TOLD_EVERY == 0) {
          Map<String, Object> told = Map.of("user_id", user, "count", total.count(), "cents", total.cents());
          context.forward(record.withKey(user).withValue(json.writeValueAsBytes(told)));
        }
        marks.applied();
      } catch (IOException error) {
        throw new IllegalStateException(error);
      }
    }
  }

  private static Serde<Total> totals() {
    return Serdes.serdeFrom(
        (topic, total) -> total == null ? null : ByteBuffer.allocate(16).putLong(total.count()).putLong(total.cents()).array(),
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          return new Total(buffer.getLong(), buffer.getLong());
        });
  }

  /** What assignment.py does for the others: how far it is, with instant and CPU, as lines of JSON. */
  private static final class Marks implements AutoCloseable {
    final CountDownLatch all = new CountDownLatch(1);
    private final OperatingSystemMXBean machine =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private final Writer file;
    private final long total;
    private final long every;
    private long count;

    Marks(JsonNode assignment) throws IOException {
      file = new FileWriter(assignment.get("marks").asText());
      total = assignment.get("total").asLong();
      every = Math.max(1, total / assignment.get("parts").asLong());
    }

    void applying() throws IOException {
      if (count == 0) {
        write(false);
      }
    }

    void applied() throws IOException {
      count += 1;
      if (count % every == 0 || count == total) {
        write(false);
      }
      if (count == total) {
        all.countDown();
      }
    }

    void ended() throws IOException {
      write(true);
    }

    private void write(boolean ended) throws IOException {
      file.write(
          String.format(
              java.util.Locale.ROOT,
              "{\"applied\":%d,\"at_s\":%.6f,\"cpu_s\":%.6f,\"ended\":%b}%n",
              count, System.nanoTime() / 1e9, machine.getProcessCpuTime() / 1e9, ended));
      file.flush();
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }
}
