import io.airlift.compress.snappy.SnappyHadoopStreams;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import org.xerial.snappy.SnappyInputStream;

/**
 * DecodeObject CODEC INPUT OUTPUT [CODEC INPUT OUTPUT]...: unpacks objects as Java readers of a data lake do.
 * hadoop-snappy is read by aircompressor, snappy (xerial) by snappy-java, gzip by the JDK.
 */
public final class DecodeObject {
    private DecodeObject() {}

    public static void main(String[] args) throws IOException {
        if (args.length == 0 || args.length % 3 != 0) {
            throw new IllegalArgumentException("usage: DecodeObject CODEC INPUT OUTPUT ...");
        }
        for (int i = 0; i < args.length; i += 3) {
            try (InputStream in = open(args[i], Path.of(args[i + 1])); OutputStream out = Files.newOutputStream(Path.of(args[i + 2]))) {
                in.transferTo(out);
            }
        }
    }

    private static InputStream open(String codec, Path file) throws IOException {
        InputStream in = new BufferedInputStream(Files.newInputStream(file));
        switch (codec) {
            case "gzip":
                return new GZIPInputStream(in);
            case "snappy":
                return new SnappyInputStream(in);
            case "hadoop-snappy":
                return new SnappyHadoopStreams().createInputStream(in);
            default:
                throw new IllegalArgumentException("unknown codec " + codec);
        }
    }
}
